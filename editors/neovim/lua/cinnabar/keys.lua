-- Insert-mode keys. A key that finds nothing to act on does what it did before.

local options = require 'cinnabar.options'

local M = {}

local before = {} ---@type table<string, table> what a key was mapped to

local function feed(keys, mode)
  -- At the front of what was typed ahead, so that the order of keys stays the user's.
  vim.api.nvim_feedkeys(vim.keycode(keys), mode .. 'i', false)
end

local function fall_back(lhs)
  local map = before[lhs]
  if not map or vim.tbl_isempty(map) then
    return feed(lhs, 'n')
  end
  local mode = map.noremap == 1 and 'n' or 'm'
  local keys = map.rhs
  if map.callback then
    keys = map.callback()
  elseif map.expr == 1 then
    keys = vim.api.nvim_eval(map.rhs)
  end
  if map.callback and map.expr ~= 1 then
    return
  end
  if type(keys) ~= 'string' or keys == '' then
    return
  end
  if map.expr == 1 and map.replace_keycodes ~= 1 then
    vim.api.nvim_feedkeys(keys, mode .. 'i', false)
  else
    feed(keys, mode)
  end
end

local actions = {
  accept = 'Accept the suggestion',
  accept_word = "Accept the suggestion's next word",
  accept_line = "Accept the suggestion's next line",
  dismiss = 'Dismiss the suggestion',
  next = 'Next suggestion',
  previous = 'Previous suggestion',
  ask = 'Ask for a suggestion',
}

--- Maps the keys of the options.
function M.map()
  local keys = options.current.keys
  if not keys then
    return
  end
  for action, what in pairs(actions) do
    local lhs = keys[action]
    if lhs then
      local map = vim.fn.maparg(lhs, 'i', false, true)
      if map.desc ~= 'Cinnabar: ' .. what and map.buffer ~= 1 then
        before[lhs] = map
      end
      vim.keymap.set('i', lhs, function()
        if not require('cinnabar')[action]() then
          fall_back(lhs)
        end
      end, { desc = 'Cinnabar: ' .. what })
    end
  end
end

return M
