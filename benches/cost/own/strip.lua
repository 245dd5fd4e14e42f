-- Only removes the control headers.
function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("x-session-track")
  headers:remove("x-session-operation")
  headers:remove("x-session-context")
end
