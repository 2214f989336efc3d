# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir ctx
# shows WHAT DOCKERFILE FORMAT TEXT
shows() {
	printf 'FROM scratch\n%s\n' "$2" > ctx/Dockerfile
	quietly kiln build -q -t health ctx && quietly kiln inspect -f "$3" health && [ "$(cat out)" = "$4" ]
	ok "$1" $?
}
all='{{json .Config.Healthcheck}}'
shows "what a health check does not say is not shown" "HEALTHCHECK CMD true" "$all" '{"Test":["CMD-SHELL","true"]}'
shows "nor for one that is switched off" "HEALTHCHECK NONE" "$all" '{"Test":["NONE"]}'
shows "all that it says is" "HEALTHCHECK --interval=5s --timeout=4s --start-period=3s --start-interval=2s --retries=1 CMD true" "$all" \
	'{"Test":["CMD-SHELL","true"],"Interval":5000000000,"Timeout":4000000000,"StartPeriod":3000000000,"StartInterval":2000000000,"Retries":1}'
shows "a template may ask for what is not there" "HEALTHCHECK CMD true" \
	'{{.Config.Healthcheck.Retries}} {{.Config.Healthcheck.StartInterval}} {{.Config.Healthcheck.Test}}' '0 0 [CMD-SHELL true]'
shows "an image without one has none" "LABEL a=b" "{{.Config.Healthcheck}} $all {{if .Config.Healthcheck}}one{{else}}none{{end}}" "<nil> null none"
fails "of which nothing can be asked" 1 kiln inspect -f '{{.Config.Healthcheck.Retries}}' health
finish
