variable "L" { default = ["a", "b", "c"] }
variable "O" { default = { x = { y = "deep" }, list = [{ n = "1" }, { n = "2" }] } }
variable "ANY" {
  type = any
  default = [1, "a"]
}
target "default" {
  args = {
    cond = L[0] == "a" ? "yes" : "no"
    nested = true ? false ? "a" : "b" : "c"
    arith = 1 + 2 * 3 - 4 / 2 % 3
    paren = (1 + 2) * 3
    unary = -3 + 5
    not = !true
    logic = true && false || true
    cmp = 1 < 2 && 2 >= 2 && 3 != 4
    deep = O.x.y
    index = O["x"]["y"]
    splat = join(",", O.list[*].n)
    splat2 = join(",", O.list.*.n)
    legacy = L.1
    for = join(",", [for v in L : upper(v)])
    for_i = join(",", [for i, v in L : "${i}${v}" if i != 1])
    for_map = jsonencode({ for i, v in L : v => i })
    for_group = jsonencode({ for v in ["ab", "ac", "bc"] : substr(v, 0, 1) => v... })
    for_obj = jsonencode([for k, v in { b = 1, a = 2 } : "${k}=${v}"])
    tmpl = "a${1 + 1}b${true}c"
    escape = "$${x} %%{y} \u00e9 \"q\" \\ \t|"
    directive = "%{ if true }yes%{ else }no%{ endif }"
    dfor = "%{ for v in L }[${v}]%{ endfor }"
    strip = "a  ${~ "b" ~}  c"
    exact = 0.5 + 0.25
    big = 9007199254740993
    bigger = 123456789012345678901234567890
    float = 1.500
    exp = 1e3
    null_cond = false ? "x" : null
    unify = jsonencode(true ? 1 : "a")
    tuple_eq = [1, 2] == [1, 2]
    dash-name = "x"
    "quoted.key" = "y"
    (L[0]) = "computed"
  }
  dockerfile-inline = <<EOT
FROM scratch
LABEL a="${L[0]}" b="$${c}"
  indented
EOT
  labels = {
    flush = <<-EOT
        first
          second
        ${L[1]}
      EOT
    loop = <<-EOT
      %{ for v in L ~}
      item ${v}
      %{ endfor ~}
      end
    EOT
    any = jsonencode(ANY)
    blank = <<-EOT
        first

      second

    EOT
    deep = <<-EOT
        ${L[0]}
          %{ if true }
          x
          %{ else }
          y
          %{~ endif ~}

        z
    EOT
    one = "x" /* comment */
  } // trailing
}
