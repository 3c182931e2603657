package track

// Version is that of what is kept in the database.
const Version = version
