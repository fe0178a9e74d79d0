-- The language server: started for the buffers that want it, started again when it dies, and listened to.

local answers = require 'cinnabar.answers'
local binary = require 'cinnabar.binary'
local options = require 'cinnabar.options'
local report = require 'cinnabar.report'
local status = require 'cinnabar.status'
local suggestion = require 'cinnabar.suggestion'

local M = {}

local NAME = 'cinnabar'
local METHOD = 'textDocument/inlineCompletion'
-- A server that dies more often than this within three minutes stays dead.
local N_RESTARTS, RESTART_WINDOW_S = 3, 180

local stopping = false -- the user wanted it to end
local deaths = {} ---@type integer[] when it died, in seconds
local missing_told = false
local n_asked, last_applied = 0, {} ---@type integer, table<integer, integer>

--- The running clients, at most one but for a moment at a restart.
---@return vim.lsp.Client[]
function M.clients(filter)
  return vim.lsp.get_clients(vim.tbl_extend('force', { name = NAME }, filter or {}))
end

-- Neovim waits for a key if a message is an error, follows another one, or is longer than the screen is wide.
local function tell(message)
  vim.schedule(function()
    vim.cmd.redraw()
    vim.notify('Cinnabar: ' .. message, vim.log.levels.WARN)
  end)
end

--- Reads an answer the way both who draws and who accepts need it: an error or a void answer shows nothing, `null`
--- leaves the screen alone. Returns what Neovim's own client is to get, which has no carriage returns.
local function read(buf, params, encoding, result)
  local suggestions, items = {}, {}
  for _, item in ipairs(result.items or result) do
    local one = suggestion.read(buf, item, params.position, encoding)
    suggestions[#suggestions + 1] = one
    items[#items + 1] = one and vim.tbl_extend('force', item, { insertText = one.text })
  end
  answers.set(buf, suggestions)
  return { items = items }
end

--- Tells the server that what it answered is on the screen, once it has been drawn.
local function tell_shown(buf)
  vim.schedule(function()
    local shown = vim.api.nvim_buf_is_loaded(buf) and answers.current(buf)
    if shown and require('cinnabar').is_visible(buf) then
      report.shown(buf, shown)
    end
  end)
end

local function listen(rpc, encoding)
  local request = rpc.request
  rpc.request = function(method, params, callback, ...)
    if method ~= METHOD then
      return request(method, params, callback, ...)
    end
    n_asked = n_asked + 1
    local serial, buf = n_asked, vim.uri_to_bufnr(params.textDocument.uri)
    status.asked(1)
    local sent, id = request(method, params, function(err, result)
      status.asked(-1)
      local newest = serial > (last_applied[buf] or 0)
      if (err or result) and newest and vim.api.nvim_buf_is_loaded(buf) then
        -- Neovim keeps what it shows on an error.
        err, result = nil, not err and result or { items = {} }
        last_applied[buf] = serial
        result = read(buf, params, encoding(), result)
      else
        err, result = nil, nil
      end
      callback(err, result)
      if result then
        tell_shown(buf)
      end
    end, ...)
    if not sent then
      status.asked(-1)
    end
    return sent, id
  end
  return rpc
end

local function died(code, signal)
  local now = os.time()
  deaths = vim.tbl_filter(function(at)
    return now - at < RESTART_WINDOW_S
  end, deaths)
  deaths[#deaths + 1] = now
  local how = signal ~= 0 and ('was ended by signal %d'):format(signal) or ('ended with code %d'):format(code)
  if #deaths > N_RESTARTS then
    status.failed(('the server %s'):format(how))
    tell(('the server %s; :Cinnabar log, :Cinnabar restart'):format(how))
    return
  end
  tell(('the server %s and is started again'):format(how))
  vim.defer_fn(M.attach, 500)
end

--- Starts the program; called by Neovim's language client.
local function start(dispatchers)
  local path, problem = binary.find()
  if not path then
    error('Cinnabar: ' .. problem, 0)
  end
  local on_exit, on_notification = dispatchers.on_exit, dispatchers.notification
  local rpc
  dispatchers = vim.tbl_extend('force', dispatchers, {
    on_exit = function(code, signal)
      -- As if all were well: Neovim would tell it a second time, in a message that waits for a key.
      on_exit(0, 0)
      vim.schedule(function()
        status.stopped()
        if not stopping and vim.v.exiting == vim.NIL then
          died(code, signal)
        end
      end)
    end,
    notification = function(method, params)
      if method == '$/progress' then
        status.progress(params)
      elseif method == 'window/showMessage' and params.type == vim.lsp.protocol.MessageType.Error then
        status.failed(params.message)
      end
      return on_notification(method, params)
    end,
  })
  rpc = vim.lsp.rpc.start(vim.list_extend({ path }, options.current.args), dispatchers)
  stopping = false
  status.started()
  return listen(rpc, function()
    local client = M.clients()[1]
    return client and client.offset_encoding or 'utf-16'
  end)
end

local function config()
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
  return {
    name = NAME,
    cmd = start,
    on_init = status.answers,
    capabilities = capabilities,
    init_options = next(options.current.settings) and options.current.settings or vim.empty_dict(),
    -- One server, hence one model, for all projects of this Neovim.
    reuse_client = function(client)
      return client.name == NAME and not client.rpc.is_closing()
    end,
  }
end

--- Whether the server may see a buffer. Tells once that the program is missing.
local function wanted(buf)
  if not require('cinnabar').is_enabled(buf) or vim.bo[buf].buftype ~= '' then
    return false
  end
  local path, problem = binary.find()
  if not path then
    status.failed(problem)
    if not missing_told then
      missing_told = true
      tell(problem .. '; see :checkhealth cinnabar')
    end
  end
  return path ~= nil
end

--- Registers the server with Neovim; it starts with the first buffer that has a file type.
function M.register()
  missing_told, deaths = false, {}
  if vim.lsp.enable then
    local registered = config()
    registered.root_dir = function(buf, found)
      if wanted(buf) then
        found(vim.fs.root(buf, options.current.root_markers))
      end
    end
    vim.lsp.config(NAME, registered)
    vim.lsp.enable(NAME)
    return
  end
  local group = vim.api.nvim_create_augroup('cinnabar.server', { clear = true })
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    callback = function(event)
      if wanted(event.buf) then
        local this = config()
        this.root_dir = vim.fs.root(event.buf, options.current.root_markers)
        vim.lsp.start(this, { bufnr = event.buf, reuse_client = this.reuse_client })
      end
    end,
  })
  if vim.v.vim_did_enter == 1 then
    M.attach()
  end
end

--- Lets the server see the buffers that it may see and does not yet.
function M.attach()
  if vim.lsp.enable then
    vim.lsp.enable(NAME)
  else
    vim.cmd 'doautoall <nomodeline> cinnabar.server FileType'
  end
end

local function stop(client)
  if vim.fn.has 'nvim-0.11' == 1 then
    client:stop()
  else
    client.stop()
  end
end

--- Ends the server and starts it again for the same buffers.
function M.restart()
  missing_told, deaths, stopping = false, {}, true
  vim.tbl_map(stop, M.clients())
  local tries = 0
  local function again()
    tries = tries + 1
    local clients = M.clients()
    if #clients > 0 and tries < 40 then
      if tries == 20 then
        vim.tbl_map(function(client)
          client.rpc.terminate()
        end, clients)
      end
      vim.defer_fn(again, 50)
    else
      M.attach()
    end
  end
  again()
end

--- Sends a request for suggestions at the cursor of the current window.
---@param kind 1|2 asked for by the user, or made while typing
---@param on_answer fun(result?: table)
---@return integer? id for `cancel`
function M.ask(client, buf, kind, on_answer)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  local function handler(_, result)
    on_answer(result)
  end
  local sent, id
  if vim.fn.has 'nvim-0.11' == 1 then
    sent, id = client:request(METHOD, params, handler, buf)
  else
    sent, id = client.request(METHOD, params, handler, buf)
  end
  return sent and id or nil
end

--- Tells the server that an answer is no longer wanted.
function M.cancel(client, id)
  if client.requests[id] then
    if vim.fn.has 'nvim-0.11' == 1 then
      client:cancel_request(id)
    else
      client.cancel_request(id)
    end
  end
end

return M
