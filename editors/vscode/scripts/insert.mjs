// The server's settings as VS Code's.

/** VS Code's settings for the properties of a schema. */
function section(schema) {
  const entries = Object.entries(schema.properties).map(([key, property], order) => {
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
