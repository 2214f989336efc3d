target "app" {
  tags = ["over:${V}"]
  args = { B = "3", C = "4" }
  cache-from = ["c2"]
}
variable "V" { default = "2" }
