-- What `setup` takes. Nothing here is about prompts, caches, timing or models: that is the server's.

local M = {}

---@class cinnabar.Options
---@field path? string the program; without it `cinnabar` on PATH, then the one built in this checkout
---@field args string[] its arguments
---@field settings table<string, any> handed to the server as they are (`initializationOptions`)
---@field enabled boolean suggest in all buffers
---@field filetypes table<string, boolean> exceptions by file type
---@field ghost_text 'native'|'plugin'|nil who draws: Neovim (0.12 and later) or this plugin
---@field root_markers string[] what a project's root contains
---@field keys table<string, string|false>|false insert-mode keys
local defaults = {
  path = nil,
  args = { 'lsp' },
  settings = {},
  enabled = true,
  filetypes = {},
  ghost_text = nil,
  root_markers = { '.git', '.hg', '.jj' },
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-C-Right>',
    dismiss = '<C-]>',
    next = '<M-]>',
    previous = '<M-[>',
    ask = '<M-Bslash>',
  },
}

---@type cinnabar.Options
M.current = vim.deepcopy(defaults)

local types = {
  path = 'string',
  args = 'table',
  settings = 'table',
  enabled = 'boolean',
  filetypes = 'table',
  ghost_text = 'string',
  root_markers = 'table',
  keys = { table = true, boolean = true },
}

local function check(given)
  local wrong = {}
  for name, value in pairs(given) do
    local expected, got = types[name], type(value)
    if not expected then
      wrong[#wrong + 1] = ('unknown option `%s`'):format(name)
    elseif expected ~= got and not (type(expected) == 'table' and expected[got]) then
      expected = type(expected) == 'table' and 'a table or false' or 'a ' .. expected
      wrong[#wrong + 1] = ('option `%s` must be %s, not a %s'):format(name, expected, got)
    end
  end
  for name in pairs(type(given.keys) == 'table' and given.keys or {}) do
    if defaults.keys[name] == nil then
      wrong[#wrong + 1] = ('unknown key `keys.%s`'):format(name)
    end
  end
  local drawn = given.ghost_text
  if type(drawn) == 'string' and drawn ~= 'native' and drawn ~= 'plugin' then
    wrong[#wrong + 1] = "option `ghost_text` must be 'native' or 'plugin'"
  elseif drawn == 'native' and not vim.lsp.inline_completion then
    wrong[#wrong + 1] = "option `ghost_text = 'native'` needs Neovim 0.12"
  end
  table.sort(wrong)
  return wrong
end

--- Takes the user's options; returns what is wrong with them, as sentences.
---@param given? table
---@return string[]
function M.set(given)
  given = given or {}
  local wrong = check(given)
  M.current = #wrong > 0 and vim.deepcopy(defaults) or vim.tbl_deep_extend('force', defaults, given)
  return wrong
end

--- Whether Neovim draws the ghost text itself.
function M.native()
  return vim.lsp.inline_completion ~= nil and M.current.ghost_text ~= 'plugin'
end

return M
