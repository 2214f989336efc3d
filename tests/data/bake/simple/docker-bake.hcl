# the smallest file
target "default" {
  context = "./app/../app"
  dockerfile = "Dockerfile.prod"
  tags = ["app:latest", "", "app:latest"]
}
