-- A suggestion and what is left of it after the user typed on (reads buffers, changes nothing).

local M = {}

---@class cinnabar.Suggestion
---@field item table as the server sent it
---@field text string what it inserts; lines end with \n, as everywhere in Neovim
---@field row integer where it starts, from 0
---@field col integer bytes
---@field replaces string the text right of the cursor that it takes the place of
---@field n_lines integer lines of the buffer when it came

--- The byte column of a position in a line.
local function to_byte(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  end
  if vim.fn.has 'nvim-0.11' == 1 then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local ok, byte = pcall(vim.str_byteindex, line, character, encoding == 'utf-16')
  return ok and byte or #line
end

--- Reads an item of an answer to a request made at `position`. Nil if it is none that can be shown.
---@param buf integer
---@param item table
---@param position { line: integer, character: integer }
---@param encoding string
---@return cinnabar.Suggestion?
function M.read(buf, item, position, encoding)
  if type(item.insertText) ~= 'string' or item.insertText == '' then
    return nil
  end
  -- Buffers have no carriage returns.
  local text = item.insertText:gsub('\r\n', '\n')
  local range = item.range or { start = position, ['end'] = position }
  local row = range.start.line
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1]
  if not line or range['end'].line ~= row then
    return nil
  end
  local col = to_byte(line, range.start.character, encoding)
  -- The server may already have moved the item behind what was typed since it was asked.
  local cursor = position.line == row and math.max(col, to_byte(line, position.character, encoding)) or col
  local replaces = line:sub(cursor + 1, to_byte(line, range['end'].character, encoding))
  local n_lines = vim.api.nvim_buf_line_count(buf)
  return { item = item, text = text, row = row, col = col, replaces = replaces, n_lines = n_lines }
end

--- What a suggestion still adds at the cursor; nil if the user typed something else.
---@param suggestion cinnabar.Suggestion
---@param buf integer
---@param row integer the cursor, from 0
---@param col integer bytes
---@return string?
function M.rest(suggestion, buf, row, col)
  local added = vim.api.nvim_buf_line_count(buf) - suggestion.n_lines
  if row < suggestion.row or added ~= row - suggestion.row or (added == 0 and col < suggestion.col) then
    return nil
  end
  local ok, typed = pcall(vim.api.nvim_buf_get_text, buf, suggestion.row, suggestion.col, row, col, {})
  if not ok then
    return nil
  end
  local prefix = table.concat(typed, '\n')
  if not vim.startswith(suggestion.text, prefix) then
    return nil
  end
  local rest = suggestion.text:sub(#prefix + 1)
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  local follows = line:sub(col + 1, col + #suggestion.replaces) == suggestion.replaces
  if not follows or rest == '' or rest == suggestion.replaces then
    return nil
  end
  return rest
end

--- The first word, with the white space before it and, if it is none, the signs up to the next one.
---@param rest string
---@return string
function M.word(rest)
  local blank = rest:match '^%s*'
  local after = rest:sub(#blank + 1)
  -- A word may have letters beyond ASCII: bytes from 128 on belong to it.
  local word = after:match '^[%w_\128-\255]+' or after:match '^[^%w_%s\128-\255]+' or ''
  return blank .. word
end

--- The first line, with the line breaks before it.
---@param rest string
---@return string
function M.line(rest)
  return rest:match '^\n*[^\n]*'
end

return M
