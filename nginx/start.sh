#!/bin/sh
# start.sh [-t]: fill nginx.conf from the environment and become nginx in the foreground (-t: only check it).
#   NGINX_LISTEN      port, or address:port (8080)
#   NGINX_INSTANCES   the API instances as host:port, separated by spaces
#   NGINX_RESOLVER    a DNS server to look their names up with again and again (nginx 1.27.3 or newer); empty: at start
#   NGINX_DASHBOARD   folder of the built dashboard
#   NGINX_PLACE       folder of this nginx alone: process id, temporary files, the filled configuration (/tmp/nginx)
#   HEADWAY_MAX_BODY_MB, WEBSOCKET_COMPRESSION   as the API has them
set -eu
source=$(dirname "$0")/nginx.conf
place=${NGINX_PLACE:-/tmp/nginx}
: "${NGINX_INSTANCES:?name the API instances, as: api-1:8400 api-2:8400}" "${NGINX_DASHBOARD:?name the built dashboard}"
PATH=$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin
export PATH

resolver= again= instances= streams= extensions='""'
if [ -n "${NGINX_RESOLVER:-}" ]; then
    resolver="resolver $NGINX_RESOLVER valid=2s;" again=' resolve'
fi
for instance in $NGINX_INSTANCES; do
    instances="$instances server $instance max_fails=1 fail_timeout=2s$again;"
    streams="$streams server $instance max_fails=0$again;"
done
case ${WEBSOCKET_COMPRESSION:-} in
    1 | [tT]* | [yY]* | [oO][nN]) extensions='$http_sec_websocket_extensions' ;;
esac
user=
# the workers of root's nginx would be somebody who may not see the dashboard of root's checkout
[ "$(id -u)" != 0 ] || user='user root;'

mkdir -p "$place/temp"
sed -e "s|\${LISTEN}|${NGINX_LISTEN:-8080}|" -e "s|\${DASHBOARD}|$NGINX_DASHBOARD|" \
    -e "s|\${MAX_BODY_MB}|${HEADWAY_MAX_BODY_MB:-16}|" -e "s|\${SOCKET_EXTENSIONS}|$extensions|" \
    -e "s|\${RESOLVER}|$resolver|" -e "s|\${INSTANCES}|$instances|" -e "s|\${STREAM_INSTANCES}|$streams|" \
    "$source" >"$place/nginx.conf"
exec nginx -p "$place/" -c "$place/nginx.conf" -g "daemon off; $user" "$@"
