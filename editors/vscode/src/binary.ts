// Finds the `cinnabar` program: where the setting says, else in PATH, else where cargo installs.
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Where to look; taken from the process, or made up by a test. */
export interface Surroundings {
  /** The setting `cinnabar.path`; empty if there is none. */
  setting: string;
  /** The environment variable PATH. */
  path: string;
  /** The user's home folder. */
  home: string;
  windows: boolean;
  /** Whether a file can be run. */
  runs(file: string): boolean;
}

export type Found = { program: string } | { missing: string };

/** A set path is used or reported, never passed over: another program would be a surprise. */
export function find(where: Surroundings): Found {
  const setting = where.setting.trim();
  if (setting !== '') {
    const program = setting.replace(/^~(?=[/\\]|$)/, where.home);
    if (!isAbsolute(program)) return { missing: `The setting cinnabar.path must be an absolute path, not ${setting}` };
    if (!where.runs(program)) return { missing: `There is no program at ${program} (setting cinnabar.path)` };
    return { program };
  }
  const name = where.windows ? 'cinnabar.exe' : 'cinnabar';
  const folders = where.path.split(delimiter).filter(isAbsolute);
  const program = [...folders, join(where.home, '.cargo', 'bin')].map((folder) => join(folder, name)).find(where.runs);
  return program ? { program } : { missing: 'The program cinnabar is neither in PATH nor in ~/.cargo/bin' };
}

/** True for a file that this user may run. */
export function runs(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Builds the program in a checkout and, where links are usual, puts it where it is found. */
export function buildCommand(windows: boolean): string {
  const build = 'cargo build --release';
  // A link: the program finds the model in the checkout that it leads to.
  return windows ? build : `${build} && mkdir -p ~/.cargo/bin && ln -sf "$PWD/target/release/cinnabar" ~/.cargo/bin/cinnabar`;
}
