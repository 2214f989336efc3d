target "base" {
  tags = ["a:1", "a:2"]
  args = { X = "x", Y = null }
  platforms = ["linux/amd64"]
  cache-from = ["type=registry,ref=r"]
}
target "default" {
  tags = concat(target.base.tags, ["b"])
  args = merge(target.base.args, { Z = target.base.args.X })
  platforms = target.base.platforms
  cache-from = target.base.cache-from
  labels = { nodesc = target.base.description, has = target.base.context == null ? "none" : "some" }
}
