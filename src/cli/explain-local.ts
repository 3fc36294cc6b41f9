/** `tulle explain --local`: the answer of a mesh that runs, as it is in force there. */
import { z } from "zod";
import { RefusedError } from "../admin/far-end.ts";
import type { Question } from "../explain/explain.ts";
import type { LocalView } from "./mesh-view.ts";
import { UsageError } from "./usage-error.ts";

/** What is made of it for people; all else is passed on. */
const AnswerSchema = z.looseObject({ served: z.boolean(), steps: z.array(z.string()), decidedBy: z.string() });

export type LocalAnswer = z.infer<typeof AnswerSchema>;

/** @throws UsageError where the question cannot be put; Error where there is no tulle local */
export async function explainLocal(question: Question, view: Pick<LocalView, "get">): Promise<LocalAnswer> {
  const { headers, ...call } = question;
  const query = new URLSearchParams(call);
  for (const { name, value } of headers) query.append("header", `${name}:${value}`);
  let said: unknown;
  try {
    said = await view.get(`/api/explain?${query}`);
  } catch (error) {
    const refused = refusalBehind(error as Error);
    // Its sentences begin with the parameter, and the option has the same name.
    if (refused?.status === 400) throw new UsageError(`--${refused.said}`);
    throw error;
  }
  const answer = AnswerSchema.safeParse(said);
  if (!answer.success) throw new Error("what was answered is no explanation: is it of the same version?");
  return answer.data;
}

function refusalBehind(error: Error): RefusedError | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof RefusedError) return at;
  return undefined;
}
