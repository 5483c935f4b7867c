// Words and command lines for a POSIX shell. Client Identifiers of devices contain "|", user names "&".

/** `word` as one argument; left bare where the shell would not touch it. */
export function quoteWord(word: string): string {
  if (/^[A-Za-z0-9_./:=@%+-]+$/.test(word)) return word;
  return quoteAlways(word);
}

/** `word` in single quotes, whatever it is made of. */
export function quoteAlways(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
