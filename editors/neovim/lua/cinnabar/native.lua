-- Ghost text drawn by Neovim itself: `vim.lsp.inline_completion`, from 0.12 on.

local answers = require 'cinnabar.answers'
local suggestion = require 'cinnabar.suggestion'

local M = {}

local inline = vim.lsp.inline_completion
-- The same number under the same name: Neovim's own namespace.
local namespace = vim.api.nvim_create_namespace 'nvim.lsp.inline_completion'

local function group(buf)
  return ('cinnabar.native:%d'):format(buf)
end

local function rest(buf)
  local shown = answers.current(buf)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  return shown and suggestion.rest(shown, buf, row - 1, col)
end

--- Suggests in a buffer.
function M.attach(buf)
  inline.enable(true, { bufnr = buf })
  local autocmds = vim.api.nvim_create_augroup(group(buf), { clear = true })
  -- Until the next answer Neovim goes on showing a text that the user has contradicted, and the lines below a cursor
  -- that has moved on to them.
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, {
    group = autocmds,
    buffer = buf,
    callback = function()
      local shown = answers.current(buf)
      local moved = shown and shown.row ~= vim.api.nvim_win_get_cursor(0)[1] - 1
      if moved or (shown and not rest(buf)) then
        vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
      end
    end,
  })
  if vim.api.nvim_get_current_buf() == buf and vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' then
    M.ask(buf)
  end
end

--- Stops suggesting in a buffer.
function M.detach(buf)
  pcall(vim.api.nvim_del_augroup_by_name, group(buf))
  if vim.api.nvim_buf_is_loaded(buf) then
    inline.enable(false, { bufnr = buf })
  end
  answers.clear(buf)
end

--- Whether ghost text is on the screen.
function M.visible(buf)
  return #vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { limit = 1 }) > 0
end

--- Takes what is shown off the screen, until the next key.
function M.dismiss(buf)
  answers.clear(buf)
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  -- Nothing is accepted by an `on_accept` that returns nothing, and pending requests are cancelled before it.
  inline.get { bufnr = buf, on_accept = function() end }
end

--- After text of the suggestion was inserted. Neovim follows within a line by itself; what it shows below a line
--- that has ended has to go, and the next suggestion to be asked for.
---@param ended boolean nothing is left of the suggestion's line
function M.accepted(buf, ended)
  if not ended then
    return
  end
  answers.clear(buf)
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  local function ask()
    if vim.api.nvim_get_current_buf() == buf then
      M.ask(buf)
    end
  end
  inline.get { bufnr = buf, on_accept = ask }
end

--- Asks for suggestions at the cursor, as a move of the cursor does.
function M.ask(buf)
  vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = buf, modeline = false })
end

--- Shows the suggestion that is `count` further.
function M.move(buf, count)
  answers.move(buf, count)
  inline.select { bufnr = buf, count = count }
end

return M
