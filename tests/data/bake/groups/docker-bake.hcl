group "default" { targets = ["a", "inner"] }
group "inner" {
  description = "two of them"
  targets = ["b", "c"]
}
target "a" { tags = ["a"] }
target "b" { inherits = ["a"] }
target "c" {
  inherits = ["a", "b"]
  description = "the third"
  tags = ["c"]
}
target "_base" {
  labels = { "x.y" = "$${not}" }
  args = { EMPTY = "", NIL = null, N = 1.50, B = true }
}
