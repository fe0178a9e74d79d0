-- The command :Cinnabar. Nothing is loaded before it or `setup` is called.

if vim.g.loaded_cinnabar then
  return
end
vim.g.loaded_cinnabar = true

local commands = {
  enable = function(where)
    require('cinnabar').enable(true, where)
  end,
  disable = function(where)
    require('cinnabar').enable(false, where)
  end,
  toggle = function(where)
    require('cinnabar').enable(not require('cinnabar').is_enabled(), where)
  end,
  restart = function()
    require('cinnabar').restart()
  end,
  status = function()
    local status = require('cinnabar').status()
    local message = status.message ~= '' and (' (%s)'):format(status.message) or ''
    print('Cinnabar: ' .. status.state .. message)
  end,
  watch = function()
    require('cinnabar.watch').open()
  end,
  log = function()
    vim.cmd.edit(vim.lsp.log and vim.lsp.log.get_filename() or vim.lsp.get_log_path())
  end,
}

vim.api.nvim_create_user_command('Cinnabar', function(call)
  local run = commands[call.fargs[1]]
  if not run then
    local names = table.concat(vim.fn.sort(vim.tbl_keys(commands)), ', ')
    vim.notify(('Cinnabar: no command %q; there are %s'):format(call.fargs[1], names), vim.log.levels.ERROR)
    return
  end
  -- With a bang for the current buffer alone.
  run(call.bang and { bufnr = 0 } or nil)
end, {
  nargs = 1,
  bang = true,
  desc = 'Cinnabar: enable, disable, toggle (with ! in this buffer), restart, status, watch, log',
  complete = function(start)
    return vim.tbl_filter(function(name)
      return vim.startswith(name, start)
    end, vim.fn.sort(vim.tbl_keys(commands)))
  end,
})
