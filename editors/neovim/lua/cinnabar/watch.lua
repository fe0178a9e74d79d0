-- Shows in a terminal how the model denoises what it suggests at the cursor.

local binary = require 'cinnabar.binary'
local options = require 'cinnabar.options'

local M = {}

--- Opens a window below with the program's own drawing; false if there is no program.
---@return boolean
function M.open()
  local path, problem = binary.find()
  if not path then
    vim.notify('Cinnabar: ' .. problem, vim.log.levels.ERROR)
    return false
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local column = vim.fn.strchars(vim.api.nvim_get_current_line():sub(1, col)) + 1
  local name = vim.fn.expand '%:.'
  -- The text as it is in the buffer, saved or not.
  local file = vim.fn.tempname()
  vim.fn.writefile(vim.api.nvim_buf_get_lines(0, 0, -1, false), file)
  local command = { path, 'complete', file, '--cursor', ('%d:%d'):format(row, column), '--watch' }
  if name ~= '' then
    vim.list_extend(command, { '--path', name })
  end
  if options.current.settings.model then
    vim.list_extend(command, { '--model', options.current.settings.model })
  end
  vim.cmd 'botright 14new'
  if vim.fn.has 'nvim-0.11' == 1 then
    vim.fn.jobstart(command, { term = true })
  else
    vim.fn.termopen(command)
  end
  return true
end

return M
