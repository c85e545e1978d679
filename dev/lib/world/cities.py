"""Places of the world in a box: name, country, degrees north and east, people (a weight), and the size of the PoP there
(0: none). Sizes do not follow the people: as in real networks, some PoPs are small for what is around them."""

CITIES = [
    # Europe
    ("Frankfurt", "DE", 50.11, 8.68, 6, 4), ("Berlin", "DE", 52.52, 13.40, 5, 1), ("Hamburg", "DE", 53.55, 9.99, 4, 0),
    ("Munich", "DE", 48.14, 11.58, 4, 1), ("London", "GB", 51.51, -0.13, 9, 4), ("Manchester", "GB", 53.48, -2.24, 4, 1),
    ("Edinburgh", "GB", 55.95, -3.19, 2, 0), ("Dublin", "IE", 53.35, -6.26, 2, 1), ("Paris", "FR", 48.86, 2.35, 8, 4),
    ("Marseille", "FR", 43.30, 5.37, 3, 2), ("Lyon", "FR", 45.76, 4.84, 2, 0), ("Amsterdam", "NL", 52.37, 4.90, 4, 4),
    ("Brussels", "BE", 50.85, 4.35, 2, 0), ("Madrid", "ES", 40.42, -3.70, 5, 2), ("Barcelona", "ES", 41.39, 2.17, 4, 0),
    ("Lisbon", "PT", 38.72, -9.14, 2, 1), ("Milan", "IT", 45.46, 9.19, 5, 2), ("Rome", "IT", 41.90, 12.50, 4, 0),
    ("Vienna", "AT", 48.21, 16.37, 2, 1), ("Zurich", "CH", 47.38, 8.54, 2, 1), ("Prague", "CZ", 50.08, 14.44, 2, 0),
    ("Warsaw", "PL", 52.23, 21.01, 5, 2), ("Stockholm", "SE", 59.33, 18.07, 2, 2), ("Oslo", "NO", 59.91, 10.75, 1, 0),
    ("Copenhagen", "DK", 55.68, 12.57, 1, 0), ("Helsinki", "FI", 60.17, 24.94, 1, 1), ("Bucharest", "RO", 44.43, 26.10, 3, 1),
    ("Sofia", "BG", 42.70, 23.32, 1, 0), ("Athens", "GR", 37.98, 23.73, 2, 1), ("Istanbul", "TR", 41.01, 28.98, 7, 2),
    ("Ankara", "TR", 39.93, 32.86, 3, 0), ("Kyiv", "UA", 50.45, 30.52, 3, 0),
    # North America
    ("New York", "US", 40.71, -74.01, 9, 4), ("Boston", "US", 42.36, -71.06, 3, 0), ("Ashburn", "US", 39.04, -77.49, 4, 4),
    ("Atlanta", "US", 33.75, -84.39, 4, 2), ("Miami", "US", 25.76, -80.19, 4, 2), ("Chicago", "US", 41.88, -87.63, 5, 2),
    ("Dallas", "US", 32.78, -96.80, 5, 2), ("Houston", "US", 29.76, -95.37, 4, 0), ("Denver", "US", 39.74, -104.99, 2, 1),
    ("Phoenix", "US", 33.45, -112.07, 2, 0), ("Los Angeles", "US", 34.05, -118.24, 7, 4),
    ("San Jose", "US", 37.34, -121.89, 5, 2), ("Seattle", "US", 47.61, -122.33, 3, 1),
    ("Minneapolis", "US", 44.98, -93.27, 2, 0), ("Toronto", "CA", 43.65, -79.38, 4, 2), ("Montreal", "CA", 45.50, -73.57, 3, 0),
    ("Vancouver", "CA", 49.28, -123.12, 2, 0), ("Mexico City", "MX", 19.43, -99.13, 7, 1),
    ("Monterrey", "MX", 25.69, -100.32, 3, 0), ("Queretaro", "MX", 20.59, -100.39, 1, 1),
    # South America
    ("Sao Paulo", "BR", -23.55, -46.63, 9, 2), ("Rio de Janeiro", "BR", -22.91, -43.17, 5, 1),
    ("Brasilia", "BR", -15.79, -47.88, 2, 0), ("Fortaleza", "BR", -3.73, -38.53, 2, 1), ("Porto Alegre", "BR", -30.03, -51.22, 2, 0),
    ("Buenos Aires", "AR", -34.60, -58.38, 5, 1), ("Cordoba", "AR", -31.42, -64.18, 1, 0), ("Santiago", "CL", -33.45, -70.67, 3, 1),
    ("Lima", "PE", -12.05, -77.04, 4, 1), ("Bogota", "CO", 4.71, -74.07, 4, 1), ("Medellin", "CO", 6.24, -75.58, 2, 0),
    ("Quito", "EC", -0.18, -78.47, 1, 0),
    # Africa
    ("Johannesburg", "ZA", -26.20, 28.05, 4, 2), ("Cape Town", "ZA", -33.92, 18.42, 2, 1), ("Durban", "ZA", -29.86, 31.03, 1, 0),
    ("Lagos", "NG", 6.52, 3.38, 6, 1), ("Abuja", "NG", 9.06, 7.49, 2, 0), ("Nairobi", "KE", -1.29, 36.82, 3, 1),
    ("Mombasa", "KE", -4.04, 39.66, 1, 0), ("Cairo", "EG", 30.04, 31.24, 5, 1), ("Alexandria", "EG", 31.20, 29.92, 2, 0),
    ("Casablanca", "MA", 33.57, -7.59, 2, 0), ("Accra", "GH", 5.60, -0.19, 1, 0), ("Dakar", "SN", 14.72, -17.47, 1, 0),
    # Asia
    ("Tokyo", "JP", 35.68, 139.69, 9, 4), ("Osaka", "JP", 34.69, 135.50, 5, 2), ("Fukuoka", "JP", 33.59, 130.40, 2, 0),
    ("Seoul", "KR", 37.57, 126.98, 6, 2), ("Busan", "KR", 35.18, 129.08, 2, 0), ("Taipei", "TW", 25.03, 121.57, 3, 1),
    ("Hong Kong", "HK", 22.32, 114.17, 4, 4), ("Manila", "PH", 14.60, 120.98, 5, 1), ("Cebu", "PH", 10.32, 123.89, 1, 0),
    ("Singapore", "SG", 1.35, 103.82, 4, 4), ("Kuala Lumpur", "MY", 3.14, 101.69, 3, 1), ("Jakarta", "ID", -6.21, 106.85, 7, 1),
    ("Surabaya", "ID", -7.26, 112.75, 2, 0), ("Bangkok", "TH", 13.76, 100.50, 5, 1), ("Hanoi", "VN", 21.03, 105.85, 3, 0),
    ("Mumbai", "IN", 19.08, 72.88, 9, 2), ("Delhi", "IN", 28.61, 77.21, 9, 2), ("Chennai", "IN", 13.08, 80.27, 5, 1),
    ("Bangalore", "IN", 12.97, 77.59, 5, 0), ("Kolkata", "IN", 22.57, 88.36, 4, 0), ("Karachi", "PK", 24.86, 67.01, 4, 0),
    ("Dubai", "AE", 25.20, 55.27, 3, 2), ("Riyadh", "SA", 24.71, 46.68, 3, 0), ("Tel Aviv", "IL", 32.09, 34.78, 2, 1),
    ("Almaty", "KZ", 43.24, 76.89, 1, 0),
    # Oceania
    ("Sydney", "AU", -33.87, 151.21, 4, 2), ("Melbourne", "AU", -37.81, 144.96, 4, 1), ("Perth", "AU", -31.95, 115.86, 1, 1),
    ("Brisbane", "AU", -27.47, 153.03, 2, 0), ("Auckland", "NZ", -36.85, 174.76, 2, 1),
]
