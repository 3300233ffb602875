package tenant

// deviceKind is a sort of client device.
type deviceKind struct {
	system, browser string
	agent           string // of browsers
	library         string // the user agent of the other clients
	trust           string
	managed         bool
}

// The indexes of deviceKinds.
const (
	windowsManaged = iota
	macManaged
	windowsOwn
	iPhone
	android
	unknownBrowser
	noDevice
	attackerPC
)

var deviceKinds = [...]deviceKind{
	{
		"Windows10", "Edge 142.0.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)" +
			" Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Windows-AzureAD-Authentication-Provider/1.0", "Hybrid Azure AD joined", true,
	},
	{
		"MacOs", "Safari 18.6", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)" +
			" Version/18.6 Safari/605.1.15", "MSAL.macOS/1.9.0", "Azure AD registered", true,
	},
	{
		"Windows10", "Chrome 142.0.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)" +
			" Chrome/142.0.0.0 Safari/537.36", "MSAL.Desktop/4.66", "Azure AD registered", false,
	},
	{
		"Ios 18.6", "Mobile Safari", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15" +
			" (KHTML, like Gecko) Mobile/15E148", "MSAL.iOS/1.9.0", "Azure AD registered", true,
	},
	{
		"Android 15", "Chrome Mobile 142.0.0", "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36" +
			" (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "MSAL.Android/5.9.0", "Azure AD registered", false,
	},
	{
		"Windows10", "Firefox 144.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
		"MSAL.Desktop/4.66", "", false,
	},
	{"", "", "", "", "", false},
	{"Linux", "Python Requests 2.32", "python-requests/2.32.3", "python-requests/2.32.3", "", false},
}

// deviceOf returns the kind of one of a user's devices: 0 the computer, 1 the phone, 2 somebody else's.
func (u *user) deviceOf(n int) int {
	bits := u.h >> 20
	switch {
	case n == 2 || u.guest && n == 0:
		return unknownBrowser
	case n == 1 && bits%2 == 0:
		return iPhone
	case n == 1:
		return android
	case bits%10 < 6:
		return windowsManaged
	case bits%10 < 8:
		return macManaged
	default:
		return windowsOwn
	}
}
