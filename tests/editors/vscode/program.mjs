// The real program.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);

/** A file of the repository. */
export const at = (path) => fileURLToPath(new URL(path, ROOT));

/** How the stage finds the program: `CINNABAR_BIN`, else by itself, in the home that the guide has filled. */
export function real() {
  const { CINNABAR_BIN: program, CINNABAR_EDITORS: lane = at('target/editors/vscode') } = process.env;
  return program ? { program } : { program: '', environment: { HOME: join(lane, 'home') } };
}
