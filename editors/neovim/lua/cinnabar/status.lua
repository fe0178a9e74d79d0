-- What the user sees of the server: loading, ready, busy, off or error.

local M = {}

---@class cinnabar.Status
---@field state 'off'|'loading'|'ready'|'busy'|'error'
---@field message string

local running = false
local error_message ---@type string?
local ready_message = ''
local loading = {} ---@type table<string, string> what is being loaded, by progress token
local n_asked = 0
local told = '' -- the state that status lines know

local function changed()
  vim.schedule(function()
    local state = M.get().state
    if state == told then
      return
    end
    told = state
    vim.api.nvim_exec_autocmds('User', { pattern = 'CinnabarStatus', modeline = false })
    vim.cmd.redrawstatus { bang = true }
  end)
end

-- What is loaded until the server has answered for the first time.
local STARTING = 'starting'

function M.started()
  running, error_message, n_asked = true, nil, 0
  loading = { [STARTING] = 'starting the server' }
  changed()
end

function M.answers()
  loading[STARTING] = nil
  changed()
end

function M.stopped()
  running, n_asked, loading = false, 0, {}
  changed()
end

---@param message string
function M.failed(message)
  error_message = message
  changed()
end

--- A request was sent (1) or answered (-1).
---@param step integer
function M.asked(step)
  n_asked = math.max(0, n_asked + step)
  changed()
end

--- Follows `$/progress`.
---@param params { token: string|integer, value: table }
function M.progress(params)
  local token, value = tostring(params.token), params.value
  if value.kind == 'begin' then
    loading[token] = value.title or ''
  elseif value.kind == 'end' and loading[token] then
    loading[token] = nil
    ready_message = value.message or ''
  end
  changed()
end

--- The state in a buffer (0: the current one).
---@param buf? integer
---@return cinnabar.Status
function M.get(buf)
  if not require('cinnabar').is_enabled(buf) then
    return { state = 'off', message = '' }
  end
  if error_message then
    return { state = 'error', message = error_message }
  end
  local _, title = next(loading)
  if title then
    return { state = 'loading', message = title }
  end
  if not running then
    return { state = 'off', message = 'the server does not run' }
  end
  return { state = n_asked > 0 and 'busy' or 'ready', message = ready_message }
end

--- For a status line; empty in buffers that Cinnabar has nothing to do with.
---@return string
function M.line()
  local buf = vim.api.nvim_get_current_buf()
  local status = M.get(buf)
  local attached = #vim.lsp.get_clients { name = 'cinnabar', bufnr = buf } > 0
  if not attached and status.state ~= 'error' and status.state ~= 'loading' then
    return ''
  end
  return 'cinnabar: ' .. status.state
end

return M
