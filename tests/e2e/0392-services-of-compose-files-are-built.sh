# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"
data=$(cd "$(dirname "$0")/../data/compose" && pwd)

# What docker compose and buildx print for these was recorded (tests/data/compose/record).
check "models and plans are those that docker compose and buildx print" "$data/compare.py" "$KILN"
prints "for all fixtures" '^[0-9]{2,} equal, 0 different$'

mkdir -p shop/base shop/web/src
cat > shop/compose.yaml <<'END'
x-build: &build
  args: &args
    VERSION: ${VERSION:-0}
services:
  base:
    build: base
  web:
    image: shop/web:${TAG}
    build:
      <<: *build
      context: web
      additional_contexts: {base: service:base}
      secrets: [token]
      labels: [team=a]
    depends_on: [worker]
  worker:
    build:
      context: web
      target: first
      additional_contexts: {base: service:base}
  db:
    image: busybox
secrets:
  token: {file: ./token}
END
printf 'TAG=v1\n' > shop/.env
printf 'hidden\n' > shop/token
printf 'FROM busybox\nRUN echo compose-base > /base\n' > shop/base/Dockerfile
cat > shop/web/Dockerfile <<'END'
FROM base AS first
RUN echo worker > /who
FROM base
ARG VERSION
RUN --mount=type=secret,id=token echo "version $VERSION $(cat /run/secrets/token)" > /who
END
compose() {
	(cd shop && "$KILN" compose "$@")
}
fails "a service that another needs must be there" 1 sh -c 'cd shop && sed "s/worker]/nobody]/" compose.yaml | "$0" compose -f - config' "$KILN"
prints "and its absence is told" 'depends on "nobody", which is not defined'
check "services are built" compose build --progress plain --build-arg VERSION=7
[ "$(grep -E '^#[0-9]+ \[.*RUN echo compose-base' err | cut -d' ' -f1 | sort -u | wc -l)" -eq 1 ]
ok "what they share runs once" $?
check "a service has the name of its image" kiln run --rm shop/web:v1 cat /who
prints "its arguments and its secret" '^version 7 hidden$'
check "one without has that of project and service" kiln run --rm shop-worker cat /who
prints "and the stage it asks for" '^worker$'
check "what depends on nothing is built alone" compose build --print worker
grep -q '"worker"' out && grep -A3 '"default"' out | grep -q worker && ! grep -A4 '"default"' out | grep -q '"web"'
ok "as the plan says" $?
check "what it depends on comes along where it is asked for" compose build --print --with-dependencies web
grep -A5 '"default"' out | grep -q '"worker"'
ok "by name" $?
check "an override is laid over it" sh -c 'printf "services: {web: {image: other}}\n" > shop/compose.override.yaml; cd shop && "$0" compose config --images' "$KILN"
prints "with another name" '^other$'
check "variables choose files and names" sh -c 'cd shop && COMPOSE_FILE=compose.yaml COMPOSE_PROJECT_NAME=mine "$0" compose config' "$KILN"
prints "of the project" '^name: mine$'
rm shop/compose.override.yaml
check "a bake takes compose files, too" sh -c 'cd shop && "$0" bake -f compose.yaml worker --set worker.tags=baked --set "*.output=type=image"' "$KILN"
check "and gives their targets names" kiln run --rm baked cat /who
sed -i "s|shop/web:|$REGISTRY/shop/web:|" shop/compose.yaml
check "images are pushed" compose build --push web
check "and are there" kiln imagetools inspect "$REGISTRY/shop/web:v1"
quietly compose build web
check "those that were built are pushed later as well" compose push web

refused() {
	mkdir -p bad
	cat > bad/compose.yaml
	fails "$1" 1 sh -c 'cd bad && "$0" compose config' "$KILN"
	prints "$2" "$3"
}
refused "YAML that is none fails" "with its line" 'compose.yaml:3: ' <<'END'
services:
  a: [
END
refused "a key of build that there is not fails" "by its name" 'services.a.build.contex: there is no such key' <<'END'
services: {a: {build: {contex: .}}}
END
refused "a variable that is required fails" "with its message" 'services.a.image: .*"NOPE" is required: say it' <<'END'
services: {a: {image: "${NOPE:?say it}"}}
END
refused "a service that extends itself fails" "and says so" 'extends itself' <<'END'
services: {a: {extends: {service: a}, image: x}}
END
refused "aliases that grow without end fail" "and say so" 'aliases make too much|nested too deep' <<'END'
a: &a [x,x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]
f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]
END
fails "what runs services is refused" 2 compose up
prints "in a sentence" 'runs no services: there is no "up"'
fails "a folder without a compose file fails" 1 sh -c 'cd / && "$0" compose config' "$KILN"
prints "and says what it is called" 'compose.yaml'

finish
