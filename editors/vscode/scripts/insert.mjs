// The server's settings as VS Code's.

/** What the extension decides itself, before the server is asked. */
export const OWN = ['enable', 'languages'];

/** VS Code's settings for the properties of a schema. */
function section(schema) {
  const theirs = Object.entries(schema.properties).filter(([key]) => !OWN.includes(key));
  const entries = theirs.map(([key, property], order) => {
    // What is run or loaded is the machine's business, not a repository's.
    const scope = key === 'model' ? { scope: 'machine-overridable' } : {};
    return [`cinnabar.${key}`, { ...property, order, ...scope }];
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
