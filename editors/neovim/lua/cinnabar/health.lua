-- :checkhealth cinnabar

local M = {}

local function run(...)
  local done = vim.system({ ... }, { text = true }):wait(10000)
  return done.code == 0, vim.trim((done.stdout or '') .. (done.code ~= 0 and done.stderr or ''))
end

local function check_program()
  local health = vim.health
  health.start 'Program'
  local path, problem = require('cinnabar.binary').find()
  if not path then
    local set = require('cinnabar.options').current.path
    health.error(problem .. (set and ': ' .. set or ''), {
      'Build or install Cinnabar as its README says',
      'Or name the program: require("cinnabar").setup { path = "/where/it/is/cinnabar" }',
    })
    return
  end
  local works, version = run(path, '--version')
  if not works then
    health.error(('%s does not run: %s'):format(path, version))
    return
  end
  health.ok(('%s: %s'):format(path, vim.split(version, '\n')[1]))
  local found, model = run(path, 'model', 'path')
  if found then
    health.ok('model: ' .. model)
  elseif not require('cinnabar.options').current.settings.model then
    health.error('no model: ' .. model, { 'Set `settings = { model = "/path/to/model.gguf" }`' })
  end
end

local function check_server()
  local health = vim.health
  health.start 'Server'
  local status = require('cinnabar').status()
  local message = status.message ~= '' and (' (%s)'):format(status.message) or ''
  if status.state == 'error' then
    health.error(status.message, { ':Cinnabar log shows what it said', ':Cinnabar restart starts it again' })
  else
    health.info('state in this buffer: ' .. status.state .. message)
  end
  local clients = require('cinnabar.server').clients()
  if #clients == 0 then
    health.info 'not running; it starts with the first file that is opened'
  end
  for _, client in ipairs(clients) do
    if client.server_capabilities.inlineCompletionProvider then
      local n = vim.tbl_count(client.attached_buffers)
      health.ok(('completes in %d buffers, positions in %s'):format(n, client.offset_encoding))
    else
      health.warn('is still starting, or is no server of Cinnabar', { ':Cinnabar log shows what it said' })
    end
  end
end

local function check_editor()
  local health = vim.health
  health.start 'Neovim'
  local version = vim.version()
  local name = ('%d.%d.%d'):format(version.major, version.minor, version.patch)
  if vim.fn.has 'nvim-0.10' == 0 then
    health.error(name .. ' is too old, 0.10 is needed')
    return
  end
  local native = require('cinnabar.options').native()
  health.ok(('%s; ghost text is drawn by %s'):format(name, native and 'Neovim' or 'the plugin'))
  local keys = require('cinnabar.options').current.keys or {}
  for action, lhs in pairs(keys) do
    local map = lhs and vim.fn.maparg(lhs, 'i', false, true) or {}
    if lhs and not vim.startswith(map.desc or '', 'Cinnabar: ') then
      local whose = map.desc or map.rhs or 'something else'
      health.warn(('%s, to %s, is mapped to: %s'):format(lhs, action, whose), { ('Set `keys.%s`'):format(action) })
    end
  end
end

function M.check()
  check_editor()
  check_program()
  check_server()
end

return M
