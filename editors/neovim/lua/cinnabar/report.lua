-- Tells the server what became of its suggestions, so that `cinnabar stats` can count.

local M = {}

local function client_of(buf)
  return vim.lsp.get_clients({ name = 'cinnabar', bufnr = buf })[1]
end

local function notify(buf, method, params)
  local client = client_of(buf)
  if not client then
    return
  end
  if vim.fn.has 'nvim-0.11' == 1 then
    client:notify(method, params)
  else
    client.notify(method, params)
  end
end

local function n_utf16(text)
  if vim.fn.has 'nvim-0.11' == 1 then
    return vim.str_utfindex(text, 'utf-16')
  end
  return select(2, vim.str_utfindex(text))
end

--- A suggestion is on the screen.
---@param buf integer
---@param shown cinnabar.Suggestion
function M.shown(buf, shown)
  notify(buf, 'textDocument/didShowCompletion', { item = shown.item })
end

--- Its first `n_bytes` are in the buffer, taken in a piece or typed before it.
---@param buf integer
---@param shown cinnabar.Suggestion
---@param n_bytes integer
function M.partly_accepted(buf, shown, n_bytes)
  local text = shown.text:sub(1, n_bytes)
  -- The server counts what it sent.
  if shown.item.insertText:find '\r\n' then
    text = text:gsub('\n', '\r\n')
  end
  notify(buf, 'textDocument/didPartiallyAcceptCompletion', { item = shown.item, acceptedLength = n_utf16(text) })
end

--- All of it was taken.
---@param buf integer
---@param shown cinnabar.Suggestion
function M.accepted(buf, shown)
  local client, command = client_of(buf), shown.item.command
  if not client or not command then
    return
  end
  local params = { command = command.command, arguments = command.arguments }
  local function ignore() end
  if vim.fn.has 'nvim-0.11' == 1 then
    client:request('workspace/executeCommand', params, ignore, buf)
  else
    client.request('workspace/executeCommand', params, ignore, buf)
  end
end

return M
