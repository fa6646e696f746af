shout() { printf '%s\n' "$*" | tr a-z A-Z; }
