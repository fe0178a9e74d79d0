// A stand-in for the part of VS Code's interface that the unit tests meet.

interface Levels {
  globalValue?: unknown;
  workspaceValue?: unknown;
}

/** What is set, by key without `cinnabar.`. */
export const set: Record<string, Levels> = {};

/** Defaults, as package.json has them. */
export const defaults: Record<string, unknown> = {};

export const workspace = {
  getConfiguration: () => ({
    get: (key: string, fallback: unknown) => set[key]?.workspaceValue ?? set[key]?.globalValue ?? defaults[key] ?? fallback,
    inspect: (key: string) => set[key],
    update: async (key: string, value: unknown) => {
      set[key] = { ...set[key], globalValue: value };
    },
  }),
};

export const ConfigurationTarget = { Global: 1 };

export const window = {};
