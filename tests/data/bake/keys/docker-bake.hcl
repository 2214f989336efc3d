target "all" {
  annotations = ["org.opencontainers.image.title=x", "manifest:a=b"]
  attest = ["type=provenance,mode=max", { type = "sbom", generator = "g" }]
  cache-from = ["user/app:cache", "type=local,src=path/to/cache", { type = "registry", ref = "r/x" }]
  cache-to = [{ type = "inline" }, "type=registry,ref=r/y,mode=max"]
  call = "build"
  context = "https://github.com/docker/buildx.git"
  contexts = { a = "docker-image://busybox" }
  dockerfile-inline = "FROM alpine"
  entitlements = ["network.host"]
  extra-hosts = { host = "1.2.3.4" }
  labels = { "com.example" = "x<y>&" }
  network = "none"
  no-cache = false
  no-cache-filter = ["a", "b"]
  output = ["type=registry", { type = "local", dest = "out" }, "dir"]
  platforms = ["linux/amd64", "linux/arm64"]
  pull = true
  resources = { memory = "1g", "cpu-shares" = 512 }
  secret = ["id=aws,src=docker-bake.hcl", { id = "env", env = "TOKEN" }]
  shm-size = "128m"
  ssh = ["default", { id = "key", paths = ["agent.sock"] }]
  tags = ["a", "b"]
  target = "stage"
  ulimits = ["nofile=1024:1024"]
}
target "more" {
  inherits = ["all"]
  cache-from = ["user/app:cache", "other"]
  attest = ["type=sbom,disabled=true"]
  secret = ["id=aws,src=args"]
  tags = []
  no-cache-filter = ["b", "c"]
  labels = { z = "1" }
  resources = { memory = "2g", cpuset-cpus = "0-1" }
  output = ["type=docker"]
  ulimits = ["core=0"]
}
