variable "V" { default = "1" }
target "app" {
  tags = ["app:${V}"]
  args = { A = "1", B = "2" }
  cache-from = ["c1"]
}
target "ref" { args = { FROM = target.app.tags[0], B = target.app.args.B } }
group "default" { targets = ["app"] }
