// What the process tells the shell. Few on purpose: scripts need to know whether to fix the call or to try again.

/** Done, or stopped by a signal after a clean close. */
export const EXIT_OK = 0;
/** It was tried and did not work: port in use, no broker running, refused message. */
export const EXIT_FAILED = 1;
/** Wrong arguments or configuration; nothing was tried. */
export const EXIT_USAGE = 2;
