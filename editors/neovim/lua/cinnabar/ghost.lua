-- Ghost text drawn by this plugin: for Neovim 0.10 and 0.11, and where it is preferred to Neovim's own.

local answers = require 'cinnabar.answers'
local server = require 'cinnabar.server'
local suggestion = require 'cinnabar.suggestion'

local M = {}

local namespace = vim.api.nvim_create_namespace 'cinnabar'
local asked = {} ---@type table<integer, { id: integer?, client: vim.lsp.Client, place: string }>

local function group(buf)
  return ('cinnabar.ghost:%d'):format(buf)
end

--- Virtual text shows tabs as control characters.
local function expand(text, buf, column)
  local width = vim.bo[buf].tabstop
  local out = ''
  for part, tab in text:gmatch '([^\t]*)(\t?)' do
    out = out .. part
    if tab ~= '' then
      local at = column + vim.fn.strdisplaywidth(out, column)
      out = out .. (' '):rep(width - at % width)
    end
  end
  return out
end

local function draw(buf)
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  local shown = answers.current(buf)
  if not shown or vim.api.nvim_get_current_buf() ~= buf or vim.api.nvim_get_mode().mode:sub(1, 1) ~= 'i' then
    return
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local rest = suggestion.rest(shown, buf, row - 1, col)
  if not rest then
    return
  end
  local lines = vim.split(rest, '\n', { plain = true })
  local first, position = lines[1], 'inline'
  if shown.replaces ~= '' then
    if #lines == 1 and vim.endswith(first, shown.replaces) then
      first = first:sub(1, #first - #shown.replaces)
    else
      position = 'overlay'
    end
  end
  local below = {}
  for i = 2, #lines do
    below[#below + 1] = { { expand(lines[i], buf, 0), 'CinnabarGhost' } }
  end
  vim.api.nvim_buf_set_extmark(buf, namespace, row - 1, col, {
    virt_text = { { expand(first, buf, vim.fn.virtcol '.' - 1), 'CinnabarGhost' } },
    virt_text_pos = position,
    virt_lines = below,
    hl_mode = 'combine',
  })
end

local function cancel(buf)
  local before = asked[buf]
  if before and before.id then
    server.cancel(before.client, before.id)
  end
  asked[buf] = nil
end

--- Asks for suggestions at the cursor; the newest request wins at the server, so none is held back.
---@param kind 1|2
function M.ask(buf, kind)
  local client = server.clients({ bufnr = buf })[1]
  if not client then
    return
  end
  local place = table.concat(
    { vim.api.nvim_buf_get_changedtick(buf), unpack(vim.api.nvim_win_get_cursor(0)) },
    ' '
  )
  -- A key both changes the text and moves the cursor.
  if kind == 2 and asked[buf] and asked[buf].place == place then
    return
  end
  local this = { client = client, place = place }
  asked[buf] = this
  this.id = server.ask(client, buf, kind, function(result)
    this.id = nil
    if result and vim.api.nvim_buf_is_loaded(buf) then
      draw(buf)
    end
  end)
end

local function leave(buf)
  cancel(buf)
  answers.clear(buf)
  draw(buf)
end

--- Suggests in a buffer.
function M.attach(buf)
  local autocmds = vim.api.nvim_create_augroup(group(buf), { clear = true })
  vim.api.nvim_create_autocmd({ 'InsertEnter', 'TextChangedI', 'TextChangedP', 'CursorMovedI' }, {
    group = autocmds,
    buffer = buf,
    callback = function(event)
      -- On InsertEnter the mode is not that yet.
      if event.event ~= 'InsertEnter' then
        draw(buf)
      end
      M.ask(buf, 2)
    end,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = autocmds,
    buffer = buf,
    callback = function()
      leave(buf)
    end,
  })
  if vim.api.nvim_get_current_buf() == buf and vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' then
    M.ask(buf, 2)
  end
end

--- Stops suggesting in a buffer.
function M.detach(buf)
  pcall(vim.api.nvim_del_augroup_by_name, group(buf))
  if vim.api.nvim_buf_is_loaded(buf) then
    leave(buf)
  end
end

--- Whether ghost text is on the screen.
function M.visible(buf)
  return #vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { limit = 1 }) > 0
end

--- Takes what is shown off the screen, until the next key.
function M.dismiss(buf)
  leave(buf)
end

--- After text of the suggestion was inserted: Neovim's events do the rest.
function M.accepted() end

--- Shows the suggestion that is `count` further.
function M.move(buf, count)
  answers.move(buf, count)
  draw(buf)
end

return M
