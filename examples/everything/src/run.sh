#!/bin/sh
echo "$MESSAGE from $(whoami): $*"
