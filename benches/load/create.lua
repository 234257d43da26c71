-- POST /versions, each with a tag of its own. PAUSE: how many milliseconds each connection waits between requests.
local thread_number = 0
function setup(thread)
  thread:set("thread_number", thread_number)
  thread_number = thread_number + 1
end
function init()
  made = 0
  tag = os.getenv("RUN") .. "-" .. thread_number .. "-"
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  wrk.headers["authorization"] = "Bearer " .. os.getenv("TOKEN")
  if os.getenv("PAUSE") then
    local pause = tonumber(os.getenv("PAUSE"))
    function delay() return math.random(0, 2 * pause) end
  end
end
function request()
  made = made + 1
  return wrk.format(nil, "/versions", nil, '{"app_id":1,"tag":"' .. tag .. made .. '","changelog":"bug fixes"}')
end
