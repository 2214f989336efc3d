target "base" {
  context = "base"
  args = { A = "1" }
  output = ["type=image,name=x"]
  entitlements = ["security.insecure"]
}
target "app" {
  contexts = {
    base = "target:base"
    alpine = "docker-image://alpine:3.20"
    src = "../src"
    none = ""
  }
  network = "host"
}
target "app2" {
  inherits = ["app"]
  contexts = { base = "target:app" }
}
