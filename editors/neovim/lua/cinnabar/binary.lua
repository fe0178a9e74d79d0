-- Where the program `cinnabar` is.

local options = require 'cinnabar.options'

local M = {}

--- The checkout that this plugin is part of, if it is part of one.
local function built_here()
  local here = debug.getinfo(1, 'S').source:sub(2)
  local root = vim.fn.fnamemodify(vim.fn.resolve(here), ':h:h:h:h:h')
  for _, profile in ipairs { 'release', 'debug' } do
    local path = ('%s/target/%s/cinnabar'):format(root, profile)
    if vim.fn.executable(path) == 1 then
      return path
    end
  end
end

--- The program's path, or nil and what is wrong.
---@return string?, string?
function M.find()
  local set = options.current.path
  if set then
    local path = vim.fn.exepath(vim.fn.expand(set))
    if path ~= '' then
      return path
    end
    return nil, 'the option "path" names no program'
  end
  local found = vim.fn.exepath 'cinnabar'
  if found ~= '' then
    return found
  end
  local built = built_here()
  if built then
    return built
  end
  return nil, 'the program "cinnabar" is not on PATH'
end

return M
