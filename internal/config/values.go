package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// units are the units of sizes: decimal ones and those with an i, which count by 1024.
var units = map[string]int64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
}

var errSize = errors.New("must be a size such as 10GB or 512MiB")

func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "BKMGTibkmgt ")
	unit, ok := units[strings.ToUpper(strings.TrimSpace(text[len(number):]))]
	n, err := strconv.ParseUint(number, 10, 63)
	if !ok || err != nil || int64(n) > (1<<63-1)/unit {
		return 0, errSize
	}
	return int64(n) * unit, nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errors.New("must be a duration such as 0s, 90s or 5m")
	}
	return d, nil
}

func parseSchemes(text string) ([]string, error) {
	var schemes []string
	for scheme := range strings.SplitSeq(text, ",") {
		switch scheme = strings.TrimSpace(scheme); {
		case scheme == "":
		case strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
			return nil, errors.New("must be a list of schemes such as cmd, without colons")
		default:
			schemes = append(schemes, scheme)
		}
	}
	return schemes, nil
}

// parseNames reads names of variables. The error quotes none of them: somebody may have written a value.
func parseNames(text string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "":
		case strings.Contains(name, "=") || strings.Contains(strings.TrimSuffix(name, "*"), "*"):
			return nil, errors.New("must be a list of names such as NAME,AWS_*, without values, and with * at the end of a name only")
		default:
			names = append(names, name)
		}
	}
	return names, nil
}
