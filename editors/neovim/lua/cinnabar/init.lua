-- Cinnabar in Neovim. See :help cinnabar.

local answers = require 'cinnabar.answers'
local options = require 'cinnabar.options'
local report = require 'cinnabar.report'
local server = require 'cinnabar.server'
local status = require 'cinnabar.status'
local suggestion = require 'cinnabar.suggestion'

local M = {}

local enabled = true
local is_set_up = false

local function ui()
  return require(options.native() and 'cinnabar.native' or 'cinnabar.ghost')
end

local function follow(buf)
  local attached = #server.clients { bufnr = buf } > 0
  if attached and M.is_enabled(buf) then
    ui().attach(buf)
  else
    ui().detach(buf)
  end
end

--- Starts Cinnabar. Options: |cinnabar-options|.
---@param given? table
function M.setup(given)
  if vim.fn.has 'nvim-0.10' == 0 then
    vim.notify('Cinnabar needs Neovim 0.10 or later', vim.log.levels.ERROR)
    return
  end
  local wrong = options.set(given)
  if #wrong > 0 then
    -- The defaults are used instead.
    vim.notify(('Cinnabar: %s; see :help cinnabar-options'):format(table.concat(wrong, '; ')), vim.log.levels.WARN)
  end
  enabled, is_set_up = options.current.enabled, true
  local ghost = vim.fn.hlexists 'ComplHint' == 1 and 'ComplHint' or 'NonText'
  vim.api.nvim_set_hl(0, 'CinnabarGhost', { link = ghost, default = true })
  require('cinnabar.keys').map()
  local group = vim.api.nvim_create_augroup('cinnabar', { clear = true })
  vim.api.nvim_create_autocmd({ 'LspAttach', 'LspDetach' }, {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == 'cinnabar' then
        -- While LspDetach runs, the client still counts as attached.
        if event.event == 'LspAttach' then
          follow(event.buf)
        else
          ui().detach(event.buf)
        end
      end
    end,
  })
  server.register()
end

--- Whether Cinnabar suggests in a buffer (nil or 0: the current one).
---@param buf? integer
---@return boolean
function M.is_enabled(buf)
  buf = (buf == nil or buf == 0) and vim.api.nvim_get_current_buf() or buf
  local of_buffer = vim.b[buf].cinnabar
  if of_buffer ~= nil then
    return of_buffer == true
  end
  local of_filetype = options.current.filetypes[vim.bo[buf].filetype]
  if of_filetype ~= nil then
    return enabled and of_filetype
  end
  return enabled
end

--- Suggests from now on, or no longer: everywhere, or in the buffer `filter.bufnr` (0: the current one).
---@param on? boolean
---@param filter? { bufnr: integer }
function M.enable(on, filter)
  on = on ~= false
  if not is_set_up then
    M.setup()
  end
  if filter and filter.bufnr then
    local buf = filter.bufnr == 0 and vim.api.nvim_get_current_buf() or filter.bufnr
    vim.b[buf].cinnabar = on
  else
    enabled = on
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      vim.b[buf].cinnabar = nil
    end
  end
  if on then
    server.attach()
  end
  for _, client in ipairs(server.clients()) do
    for buf in pairs(client.attached_buffers) do
      follow(buf)
    end
  end
end

--- Inserts what `piece` takes of the suggestion; false if there is none.
local function accept(piece)
  local buf = vim.api.nvim_get_current_buf()
  local shown = answers.current(buf)
  -- An open menu has the key.
  if not shown or not ui().visible(buf) or vim.fn.pumvisible() == 1 then
    return false
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local rest = suggestion.rest(shown, buf, row - 1, col)
  if not rest then
    return false
  end
  local text = piece(rest)
  local whole = text == rest
  local lines = vim.split(text, '\n', { plain = true })
  -- What was typed and what is accepted are undone apart.
  vim.cmd 'let &g:undolevels = &g:undolevels'
  local until_col = whole and col + #shown.replaces or col
  vim.api.nvim_buf_set_text(buf, row - 1, col, row - 1, until_col, lines)
  local last = #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines - 1, #lines == 1 and col + last or last })
  if whole then
    answers.clear(buf)
    report.accepted(buf, shown)
  else
    report.partly_accepted(buf, shown, #shown.text - #rest + #text)
  end
  ui().accepted(buf, whole or #lines > 1)
  return true
end

--- Inserts the whole suggestion. Like all actions it returns whether there was something to act on.
---@return boolean
function M.accept()
  return accept(function(rest)
    return rest
  end)
end

--- Inserts the suggestion's next word.
---@return boolean
function M.accept_word()
  return accept(suggestion.word)
end

--- Inserts the suggestion's next line.
---@return boolean
function M.accept_line()
  return accept(suggestion.line)
end

--- Whether a suggestion is on the screen.
---@param buf integer
---@return boolean
function M.is_visible(buf)
  return ui().visible(buf)
end

--- Hides the suggestion until the next key.
---@return boolean
function M.dismiss()
  local buf = vim.api.nvim_get_current_buf()
  if not ui().visible(buf) then
    return false
  end
  ui().dismiss(buf)
  return true
end

local function move(count)
  local buf = vim.api.nvim_get_current_buf()
  if not answers.current(buf) or not ui().visible(buf) then
    return false
  end
  ui().move(buf, count)
  report.shown(buf, answers.current(buf))
  return true
end

--- Shows the next suggestion.
---@return boolean
function M.next()
  return move(1)
end

--- Shows the previous suggestion.
---@return boolean
function M.previous()
  return move(-1)
end

--- Asks for a suggestion at the cursor.
---@return boolean
function M.ask()
  local buf = vim.api.nvim_get_current_buf()
  if #server.clients { bufnr = buf } == 0 or not M.is_enabled(buf) then
    return false
  end
  ui().ask(buf, 1)
  return true
end

--- Ends the server and starts it again.
M.restart = server.restart

--- The state: { state, message }, where state is `off`, `loading`, `ready`, `busy` or `error`.
M.status = status.get

--- The state for a status line.
M.statusline = status.line

return M
