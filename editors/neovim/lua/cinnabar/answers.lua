-- The suggestions that the server last gave for each buffer.

local M = {}

---@type table<integer, { suggestions: cinnabar.Suggestion[], index: integer }>
local of = {}

---@param buf integer
---@param suggestions cinnabar.Suggestion[]
function M.set(buf, suggestions)
  of[buf] = #suggestions > 0 and { suggestions = suggestions, index = 1 } or nil
end

---@param buf integer
function M.clear(buf)
  of[buf] = nil
end

--- The suggestion that is shown or would be.
---@param buf integer
---@return cinnabar.Suggestion?
function M.current(buf)
  local answer = of[buf]
  return answer and answer.suggestions[answer.index]
end

--- Moves on by `count` suggestions, around the end.
---@param buf integer
---@param count integer
function M.move(buf, count)
  local answer = of[buf]
  if answer then
    answer.index = (answer.index - 1 + count) % #answer.suggestions + 1
  end
end

return M
