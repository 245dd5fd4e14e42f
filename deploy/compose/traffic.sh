#!/bin/sh
# Three users at work, until the container ends: traffic.sh http://HOST:PORT
envoy=$1

# send USER PATH [OPTION...]
send() {
  user=$1 path=$2
  shift 2
  wget -q -O /dev/null --header "x-session-id: s-$user" --header "x-demo-user: $user" "$@" "$envoy$path"
}

while sleep 1; do
  for user in ada grace linus; do
    send "$user" /v1/login --post-data ""
    send "$user" /check
    send "$user" /products
  done
  # Refused, which wget reports.
  send linus /admin/users
done 2>/dev/null
