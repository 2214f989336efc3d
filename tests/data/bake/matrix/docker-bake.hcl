variable "VERSIONS" { default = ["1.2", "2.0"] }
target "app" {
  name = "app-${replace(v, ".", "-")}"
  matrix = { v = VERSIONS }
  tags = ["app:${v}"]
  args = { V = v }
}
target "obj" {
  name = "obj-${item.name}"
  matrix = { item = [{ name = "x", port = 1 }, { name = "y", port = 2 }] }
  args = { PORT = item.port }
  contexts = { base = "target:app-1-2" }
}
target "single" {
  matrix = { only = ["one"] }
  args = { O = only }
}
group "default" { targets = ["app", "obj", "single"] }
