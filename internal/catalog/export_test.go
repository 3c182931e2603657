package catalog

// DigestedCatalogs are the catalogs of which is known what they tell a digest.
func DigestedCatalogs() (names []string) {
	for _, facts := range [][]fact{watchedFacts, unwatchedFacts, digestedFacts} {
		for _, f := range facts {
			names = append(names, f.catalog)
		}
	}
	return append(names, undigested...)
}
