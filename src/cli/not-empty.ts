import { InvalidArgumentError } from "commander";

/** The value of an option that may be any text but none. @throws InvalidArgumentError */
export function notEmpty(text: string): string {
  if (text === "") throw new InvalidArgumentError("It is empty.");
  return text;
}
