-- Removes the control headers, and posts a record when the response comes. What is known of the request waits in dynamic
-- metadata, since the two functions share nothing else.
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape(character)
  return ESCAPES[character] or string.format("\\u%04x", string.byte(character))
end

local function member(name, value)
  return ',"' .. name .. '":"' .. string.gsub(value or "", '[%c"\\]', escape) .. '"'
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("x-session-track") ~= "true" then
    return
  end
  local info = handle:streamInfo()
  local request = member("audit.action", headers:get("x-session-operation"))
    .. member("audit.session.context", headers:get("x-session-context"))
    .. member("http.request.method", headers:get(":method"))
    .. member("url.path", headers:get(":path"))
    .. member("server.address", headers:get(":authority"))
    .. member("network.protocol.version", info:protocol())
    .. member("user_agent.original", headers:get("user-agent"))
    .. member("client.address", info:downstreamRemoteAddress())
    .. member("audit.request_id", headers:get("x-request-id"))
  local metadata = info:dynamicMetadata()
  metadata:set("audit", "request", request)
  metadata:set("audit", "start", handle:timestamp())
  headers:remove("x-session-track")
  headers:remove("x-session-operation")
  headers:remove("x-session-context")
end

function envoy_on_response(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("audit")
  if noted == nil then
    return
  end
  local headers = handle:headers()
  local record = '{"audit.rule":"tracked","audit.stage":"complete","audit.duration_ms":'
    .. string.format("%d", handle:timestamp() - noted["start"])
    .. ',"http.response.status_code":' .. headers:get(":status")
    .. member("user.id", headers:get("x-user-id"))
    .. noted["request"] .. "}"
  local target = {
    [":method"] = "POST", [":path"] = "/v1/logs", [":authority"] = "audit", ["content-type"] = "application/json",
  }
  handle:httpCall("audit", target, record, 5000, true)
end
