// Writes the section "Server" of package.json's settings from the server's definition of them:
//   npm run settings                                      from editors/settings.schema.json
//   cinnabar settings --schema | npm run settings -- -    from a program
import { readFileSync, writeFileSync } from 'node:fs';
import { insert } from './insert.mjs';

const SCHEMA = new URL('../../settings.schema.json', import.meta.url);
const MANIFEST = new URL('../package.json', import.meta.url);

const schema = JSON.parse(readFileSync(process.argv[2] === '-' ? 0 : SCHEMA, 'utf8'));
const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8'));
writeFileSync(MANIFEST, `${JSON.stringify(insert(manifest, schema), null, 2)}\n`);
