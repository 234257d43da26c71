-- GET of PATH_PREFIX and a number: OFFSET and 1 to ROWS.
function init()
  rows = tonumber(os.getenv("ROWS"))
  offset = tonumber(os.getenv("OFFSET"))
  prefix = os.getenv("PATH_PREFIX")
  math.randomseed(os.time())
  wrk.headers["authorization"] = "Bearer " .. os.getenv("TOKEN")
end
function request()
  return wrk.format(nil, prefix .. string.format("%d", offset + math.random(1, rows)))
end
