variable "TAG" { default = "latest" }
variable "REPO" { default = "example/${TAG}" }
variable "N" { default = 3 }
variable "ON" { default = true }
variable "NONE" {}
variable "NULL" { default = null }
variable "TYPED" { type = string }
variable "LIST" {
  type = list(string)
  default = ["x", "y"]
}
variable "NUMBERS" {
  type = list(number)
  default = [1, 2.5]
}
variable "MAP" {
  type = map(string)
  default = { k = "v", n = 1 }
}
variable "OBJ" {
  type = object({ name = string, size = optional(number) })
  default = { name = "o" }
}
variable "SET" {
  type = set(string)
  default = ["b", "a", "b"]
}
GLOBAL = "g-${TAG}"
target "default" {
  tags = ["${REPO}:${TAG}", GLOBAL]
  args = {
    N = N
    N1 = N + 1
    ON = ON
    NONE = NONE
    NULL = NULL
    TYPED = TYPED == null ? "unset" : TYPED
    LIST = join("-", LIST)
    NUMBERS = jsonencode(NUMBERS)
    MAP = jsonencode(MAP)
    OBJ = jsonencode(OBJ)
    SET = jsonencode(SET)
  }
}
