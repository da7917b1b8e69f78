/**
 * The arguments that a launcher was given. Node looks for options of its own (`--env-file`, `--experimental-config-file`)
 * among the arguments of the program too, and an argument may be anybody's text; so a launcher puts `=` before each, and
 * here it comes off again. Where there was no launcher nothing is marked.
 */
export const ownArguments = (argv: readonly string[]): string[] => {
  const given = argv.slice(2);
  const isMarked = given.length > 0 && given.every((argument) => argument.startsWith('='));
  return isMarked ? given.map((argument) => argument.slice(1)) : given;
};
