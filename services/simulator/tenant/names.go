package tenant

// Names of the people and companies. They are plain ASCII: they go into JSON and addresses as they are.

var firstNames = [...]string{
	"Ada", "Adam", "Agnes", "Alba", "Amir", "Ana", "Anders", "Anika", "Arjun", "Astrid", "Ben", "Bianca",
	"Bo", "Carla", "Chen", "Clara", "Dana", "Daniel", "Diego", "Elena", "Eli", "Emil", "Emma", "Erik", "Esther",
	"Eva", "Farah", "Felix", "Finn", "Freya", "Gita", "Greta", "Hana", "Hans", "Hiro", "Ida", "Ines", "Ingrid",
	"Ivan", "Jakob", "Jana", "Jin", "Joao", "Johan", "Julia", "Kai", "Karin", "Kenji", "Lars", "Laura", "Lea",
	"Leo", "Lina", "Liv", "Lucas", "Maja", "Marco", "Maria", "Mei", "Mila", "Mina", "Nadia", "Nils", "Nina",
	"Noah", "Olga", "Omar", "Oscar", "Paul", "Petra", "Priya", "Rafael", "Ravi", "Rosa", "Sara", "Sofia",
	"Sven", "Tara", "Theo", "Tim", "Tomas", "Uma", "Vera", "Victor", "Wei", "Yara", "Yuki", "Zoe",
}

var lastNames = [...]string{
	"Abel", "Adler", "Andersen", "Baker", "Bauer", "Berg", "Bianchi", "Blom", "Brandt", "Castro", "Chen",
	"Costa", "Dahl", "Diaz", "Dubois", "Ek", "Eriksen", "Evans", "Fischer", "Fontaine", "Garcia", "Gill", "Haas",
	"Hansen", "Hill", "Holm", "Ito", "Jansen", "Jensen", "Kaur", "Keller", "Khan", "Kim", "King", "Klein",
	"Kowalski", "Kumar", "Lang", "Larsen", "Lee", "Lind", "Lopez", "Lund", "Maier", "Marin", "Martin", "Mehta",
	"Meyer", "Moreau", "Mori", "Nagy", "Ng", "Nielsen", "Novak", "Nyberg", "Olsen", "Park", "Patel", "Pereira",
	"Petrov", "Quist", "Ramos", "Rao", "Reyes", "Ricci", "Rossi", "Roth", "Ruiz", "Sato", "Schmidt", "Silva",
	"Singh", "Smith", "Sousa", "Strand", "Suzuki", "Tanaka", "Torres", "Vega", "Vogel", "Wagner", "Wang",
	"Weber", "Wolf", "Wong", "Wu", "Yamada", "Zhang",
}

var companies = [...]string{"contoso", "northwind", "tailspin", "woodgrove", "litware", "proseware", "lucerne", "alpine"}

var partners = [...]string{"fabrikam.example", "adatum.example", "wingtip.example", "relecloud.example", "trey.example"}

var departments = [...]string{
	"Engineering", "Sales", "Finance", "Human Resources", "Marketing", "Legal", "Operations", "Support", "Research",
}

var jobTitles = [...]string{
	"Analyst", "Manager", "Engineer", "Specialist", "Director", "Consultant", "Assistant", "Coordinator",
}

// appNames are the tenant's own applications; a number behind the name makes the rest.
var appNames = [...]string{
	"Payroll", "Travel Portal", "Data Export", "Build Pipeline", "Ticket Bot", "Warehouse Sync", "CRM Connector",
	"Backup Runner", "Report Mailer", "Badge Reader", "Lab Notebook", "Fleet Tracker", "Invoice Scanner",
	"Room Booking", "Survey Tool", "Chat Bridge",
}

// galleryApps are the applications that users are provisioned into.
var galleryApps = [...]string{"Dropbox Business", "ServiceNow", "Salesforce", "Slack", "Zoom", "Atlassian Cloud"}
