// Writes the section "Server" of package.json's settings from the server's definition of them:
//   npm run settings                                     from editors/settings.schema.json
//   cinnabar settings schema | npm run settings -- -     from a program
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

/** VS Code's settings for the properties of a schema. */
export function section(schema) {
  const entries = Object.entries(schema.properties).map(([key, property], index) => {
    const setting = { ...property, order: index };
    // What is run or loaded is the machine's business, not a repository's.
    if (key === 'model') setting.scope = 'machine-overridable';
    return [`cinnabar.${key}`, setting];
  });
  return Object.fromEntries(entries);
}

/** The manifest with its section "Server" replaced. */
export function insert(manifest, schema) {
  const configuration = manifest.contributes.configuration.map((part) =>
    part.title === 'Server' ? { ...part, properties: section(schema) } : part,
  );
  return { ...manifest, contributes: { ...manifest.contributes, configuration } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const schema = JSON.parse(readFileSync(process.argv[2] === '-' ? 0 : at('../../settings.schema.json'), 'utf8'));
  const manifest = JSON.parse(readFileSync(at('../package.json'), 'utf8'));
  writeFileSync(at('../package.json'), `${JSON.stringify(insert(manifest, schema), null, 2)}\n`);
}
