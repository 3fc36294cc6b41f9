/** As design and help text promise them. */
export const EXIT_FINE = 0;
export const EXIT_PROBLEMS = 1;
export const EXIT_USAGE = 2;
