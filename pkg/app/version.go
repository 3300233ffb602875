package app

import "runtime/debug"

// Version returns the version of the program's module, with the commit it was built from where
// the go command recorded it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	const commitLength = 12
	version := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && version == "(devel)" {
			version = "devel-" + setting.Value[:min(commitLength, len(setting.Value))]
		}
	}
	if version == "" || version == "(devel)" {
		return "devel"
	}
	return version
}
